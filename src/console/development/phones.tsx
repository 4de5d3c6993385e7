import { Page } from "../ui/page.tsx";
import { Failure, Loading, Nothing } from "../ui/states.tsx";
import { When } from "../ui/when.tsx";
import { useEvents } from "./use-events.ts";
import { useJson } from "./use-json.ts";

interface Shown {
  visible: boolean;
  title: string | null;
  body: string | null;
}

interface PhoneView {
  token: string;
  platform: "android" | "apns" | "webpush";
  online: boolean;
  messages: { name: string; receivedAt: string; shown: Record<string, Shown> }[];
}

/** Of the emulator's phones, those used last. */
const MOST = 12;

/** What the emulated phones show, as it comes. */
export default function Phones() {
  const tick = useEvents("events");
  const { data, problem } = useJson<{ phones: { token: string }[] }>("phones", tick);
  const latest = data?.phones.slice(-MOST).reverse();
  return (
    <Page title="Phones" lead="What the phones of the FCM emulator show, live.">
      {problem && <Failure problem={problem} />}
      {!latest && !problem && <Loading />}
      {latest?.length === 0 && (
        <Nothing title="No phone has got a message yet.">
          Register a device with any token, and send it something.
        </Nothing>
      )}
      <ul className="phones">
        {latest?.map(({ token }) => (
          <Phone key={token} token={token} tick={tick} />
        ))}
      </ul>
    </Page>
  );
}

function Phone({ token, tick }: { token: string; tick: number }) {
  const { data: phone } = useJson<PhoneView>(`phones/${encodeURIComponent(token)}`, tick);
  return (
    <li className="phone" aria-label={`Phone ${token}`}>
      <h2 title={token}>{token}</h2>
      {phone && (
        <ul className="screen">
          {phone.messages
            .slice(-5)
            .reverse()
            .map(({ name, receivedAt, shown }) => {
              const seen = shown[phone.platform];
              return (
                <li key={name} className="push" data-shape={SHAPES[phone.platform]}>
                  <div>
                    <p className="push-app">
                      {phone.online ? "" : "offline · "}
                      <When at={receivedAt} />
                    </p>
                    {seen?.visible ? (
                      <>
                        <p className="push-title">{seen.title}</p>
                        <p className="push-message">{seen.body}</p>
                      </>
                    ) : (
                      <p className="push-message muted">Silent: nothing is shown.</p>
                    )}
                  </div>
                </li>
              );
            })}
        </ul>
      )}
    </li>
  );
}

const SHAPES = { android: "android", apns: "ios", webpush: "web" } as const;
