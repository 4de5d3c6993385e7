import type { Draft } from "./draft.ts";

/** About what fits before a platform cuts it off, characters. */
const FITS = { title: 50, message: 150 };

/** How it would look, more or less: each platform has its own shape. */
export function Previews({ draft }: { draft: Draft }) {
  if (draft.isSilent) {
    return (
      <aside className="previews" aria-label="Preview">
        <p className="muted">A silent notification shows nothing: the app gets its data.</p>
      </aside>
    );
  }
  const title = draft.title || "Title";
  const message = draft.message || "The text of the push.";
  return (
    <aside className="previews" aria-label="Preview">
      <Preview platform="Android" shape="android" title={title} message={message} />
      <Preview platform="iOS" shape="ios" title={title} message={message} />
      <Preview platform="Web" shape="web" title={title} message={message} />
      {(draft.title.length > FITS.title || draft.message.length > FITS.message) && (
        <p className="muted">Small screens cut this off: say what matters first.</p>
      )}
    </aside>
  );
}

function Preview(props: { platform: string; shape: string; title: string; message: string }) {
  return (
    <figure className="preview">
      <figcaption>{props.platform}</figcaption>
      <div className="push" data-shape={props.shape}>
        <span className="push-icon" aria-hidden="true" />
        <div>
          <p className="push-app">Your app · now</p>
          <p className="push-title">{props.title}</p>
          <p className="push-message">{props.message}</p>
        </div>
      </div>
    </figure>
  );
}
