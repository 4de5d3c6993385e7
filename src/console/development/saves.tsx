import type { Change, Right, RuleFinding, Save } from "../../development/save.ts";
import { development } from "../development.ts";
import { Page, Section } from "../ui/page.tsx";
import { Failure, Loading, Nothing } from "../ui/states.tsx";
import { counted } from "../ui/status.tsx";
import { When } from "../ui/when.tsx";
import { useEvents } from "./use-events.ts";
import { useJson } from "./use-json.ts";

/** What a save of current.sql changed, and what the rules say. */
export default function Saves() {
  return (
    <Page
      title="Saves"
      lead={
        <>
          What each save of <code>migrations/current.sql</code> changed, and what the rules say,
          live.
        </>
      }
    >
      {development?.saves ? (
        <Followed />
      ) : (
        <Nothing title="Nothing follows your files at this moment.">
          Start <code>npm run dev</code> instead of <code>npm start</code>: it applies
          migrations/current.sql at each save, and this page shows what that changed.
        </Nothing>
      )}
    </Page>
  );
}

function Followed() {
  const tick = useEvents("saves/events");
  const { data, problem } = useJson<Save[]>("saves", tick);
  const [latest, ...earlier] = data ?? [];
  return (
    <>
      {problem && <Failure problem={problem} />}
      {!latest && !problem && <Loading />}
      {latest && <Latest save={latest} />}
      {earlier.length > 0 && (
        <Section title="Earlier">
          <ul className="earlier">
            {earlier.map((save) => (
              <li key={save.at}>
                <details>
                  <summary>
                    <Headline save={save} />
                  </summary>
                  <Changed save={save} />
                </details>
              </li>
            ))}
          </ul>
        </Section>
      )}
    </>
  );
}

function Latest({ save }: { save: Save }) {
  const { findings, mended } = save;
  const errors = findings.filter(({ level }) => level === "error").length;
  return (
    <>
      <div className="save" role="status">
        <Headline save={save} />
      </div>
      <Changed save={save} />
      <Section
        title="What the rules say"
        aside={
          mended > 0 ? (
            <p className="muted">{counted(mended, "finding")} mended by this save</p>
          ) : null
        }
      >
        {findings.length === 0 ? (
          <Nothing title="Nothing to mend.">No rule finds a fault in the schema.</Nothing>
        ) : (
          <>
            <p className="muted">
              {counted(errors, "error")}, {counted(findings.length - errors, "warning")}
            </p>
            <ul className="cards">
              {[...findings]
                .sort((a, b) => Number(b.isNew) - Number(a.isNew))
                .map((finding) => (
                  <Finding
                    key={`${finding.rule} ${finding.object} ${finding.detail}`}
                    {...finding}
                  />
                ))}
            </ul>
          </>
        )}
      </Section>
    </>
  );
}

function Headline({ save }: { save: Save }) {
  const { fault, files, at, seconds, api, access, isApplied } = save;
  const breaking = api.filter(({ level }) => level === "breaking").length;
  let outcome = breaking > 0 ? "Applied, breaks clients" : "Applied";
  if (fault !== null) outcome = isApplied ? "Applied, but without an API of it" : "Not applied";
  return (
    <>
      <span className="status" data-tone={fault !== null || breaking > 0 ? "bad" : "good"}>
        {outcome}
      </span>{" "}
      <When at={at} />
      <span className="muted">
        {" "}
        · {files.length === 0 ? "at the start" : files.join(", ")} · {seconds.toFixed(1)} s
        {fault === null &&
          files.length > 0 &&
          ` · ${counted(api.length, "change")} in the API, ${counted(access.length, "line")} of access`}
      </span>
    </>
  );
}

function Changed({ save }: { save: Save }) {
  const { fault, files, api, access, isApplied } = save;
  if (fault !== null) {
    return (
      <Section title={isApplied ? "Why the API is as it was" : "Why nothing changed"}>
        <pre className="fault">{fault}</pre>
      </Section>
    );
  }
  if (files.length === 0) return null;
  return (
    <>
      <Section title="The API">
        {api.length === 0 ? (
          <p className="muted">It is as it was.</p>
        ) : (
          <ul className="changes">
            {api.map((change) => (
              <ApiChange key={change.message} {...change} />
            ))}
          </ul>
        )}
      </Section>
      <Section title="Who may what">
        {access.length === 0 ? (
          <p className="muted">As before.</p>
        ) : (
          <ul className="changes">
            {access.map((right) => (
              <AccessChange key={right.sign + right.line.join()} {...right} />
            ))}
          </ul>
        )}
      </Section>
    </>
  );
}

const SIGNS = { "+": "added", "-": "removed", "~": "changed" } as const;

function Sign({ sign }: { sign: Change["sign"] }) {
  return (
    <span className="sign" data-sign={sign}>
      <span aria-hidden="true">{sign === "-" ? "−" : sign}</span>
      <span className="hidden">{SIGNS[sign]}: </span>
    </span>
  );
}

function ApiChange({ sign, message, level }: Change) {
  return (
    <li>
      <Sign sign={sign} />
      <span>
        {message}
        {level !== "compatible" && (
          <span className="status level" data-tone={level === "breaking" ? "bad" : "wait"}>
            {level}
          </span>
        )}
      </span>
    </li>
  );
}

function AccessChange({ sign, line }: Right) {
  const [what, ...rest] = line;
  return (
    <li>
      <Sign sign={sign} />
      <span>
        <strong>{what}</strong> <span className="muted">{rest.filter(Boolean).join(" · ")}</span>
      </span>
    </li>
  );
}

function Finding({ rule, level, object, detail, resolution, page, isNew }: RuleFinding) {
  return (
    <li className="card">
      <h3>
        {object}{" "}
        <span className="status" data-tone={level === "error" ? "bad" : "wait"}>
          {level}
          {isNew ? ", new" : ""}
        </span>
      </h3>
      <p>{detail}</p>
      <pre className="resolution">{resolution}</pre>
      <p className="sub">
        {rule} · {page}
      </p>
    </li>
  );
}
