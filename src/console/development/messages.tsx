import { useState } from "react";
import { Tab, TabList, TabPanel, Tabs } from "react-aria-components";
import { useLive } from "../graphql/live.tsx";
import { Page } from "../ui/page.tsx";
import { Failure, Nothing } from "../ui/states.tsx";
import { When } from "../ui/when.tsx";
import { readMail } from "./read-mail.ts";
import { useJson } from "./use-json.ts";

type Captured = { name: string; content: string }[];

/** What would have been sent: mails and SMS, newest first. */
export default function Messages() {
  const { tick } = useLive();
  const mails = useJson<Captured>("mails", tick);
  const sms = useJson<Captured>("sms", tick);
  const problem = mails.problem ?? sms.problem;
  return (
    <Page title="Mails and SMS" lead="Captured on this machine instead of sent.">
      {problem && <Failure problem={problem} />}
      {mails.data?.length === 0 && sms.data?.length === 0 && (
        <Nothing title="Nothing has been captured yet.">
          Ask for a password reset, or for the proof of an address.
        </Nothing>
      )}
      <ul className="cards">
        {mails.data?.map(({ name, content }) => (
          <Mail key={name} source={content} />
        ))}
        {sms.data?.map(({ name, content }) => (
          <Sms key={name} source={content} />
        ))}
      </ul>
    </Page>
  );
}

function Mail({ source }: { source: string }) {
  const [mail] = useState(() => readMail(source));
  return (
    <li className="card">
      <h2>{mail.subject}</h2>
      <p className="muted">
        To {mail.to} · <When at={mail.at} />
      </p>
      <Tabs className="tabs">
        <TabList aria-label="Form" className="tab-list">
          <Tab id="text" className="tab">
            Text
          </Tab>
          <Tab id="html" className="tab">
            Rendered
          </Tab>
        </TabList>
        <TabPanel id="text">
          <pre className="mail-text">{mail.text}</pre>
        </TabPanel>
        <TabPanel id="html">
          {/* Without any permission: no script, no form, no way to this page or its storage. */}
          <iframe className="mail-frame" title={mail.subject} sandbox="" srcDoc={mail.html} />
        </TabPanel>
      </Tabs>
    </li>
  );
}

function Sms({ source }: { source: string }) {
  const { to, body, at } = JSON.parse(source) as { to: string; body: string; at: string };
  return (
    <li className="card">
      <h2>SMS to {to}</h2>
      <p className="muted">
        <When at={at} />
      </p>
      <pre className="mail-text">{body}</pre>
    </li>
  );
}
