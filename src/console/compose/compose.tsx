import { useEffect, useRef, useState } from "react";
import { Button, Form } from "react-aria-components";
import { useClient } from "urql";
import { useLocation } from "wouter";
import { ComposeOptionsDocument, SendNotificationDocument } from "../graphql/generated.ts";
import { type Problem, toProblem } from "../graphql/problem.ts";
import { useLiveQuery } from "../graphql/use-live-query.ts";
import { Confirm } from "../ui/confirm.tsx";
import { Page } from "../ui/page.tsx";
import { Failure } from "../ui/states.tsx";
import { counted } from "../ui/status.tsx";
import { useAddress } from "../ui/use-address.ts";
import { type Draft, EMPTY, toInput, Unreadable } from "./draft.ts";
import { AudienceFields, ContentFields, TimeFields } from "./draft-fields.tsx";
import { Previews } from "./previews.tsx";

interface Reach {
  /** Of which draft it was counted. */
  of: string;
  recipients: number;
  devices: number;
}

/** Writes a notification, counts whom it would reach, and sends it. */
export default function Compose() {
  const client = useClient();
  const [, navigate] = useLocation();
  const [to] = useAddress("to");
  const [draft, setDraft] = useState<Draft>({ ...EMPTY, users: to });
  const [reach, setReach] = useState<Reach>();
  const [problem, setProblem] = useState<Problem>();
  const [unreadable, setUnreadable] = useState<Unreadable>();
  const [isBusy, setBusy] = useState(false);
  const { data: options } = useLiveQuery(ComposeOptionsDocument, {});
  const written = JSON.stringify(draft);
  const isCounted = reach?.of === written;

  function change(part: Partial<Draft>) {
    setDraft((before) => ({ ...before, ...part }));
    setProblem(undefined);
    setUnreadable(undefined);
  }

  async function ask(dryRun: boolean) {
    try {
      setBusy(true);
      setProblem(undefined);
      setUnreadable(undefined);
      const input = toInput(draft, dryRun);
      const { data, error } = await client
        .mutation(SendNotificationDocument, { input })
        .toPromise();
      if (error) throw error;
      const sent = data?.sendNotification;
      if (sent?.reach) setReach({ of: written, ...sent.reach });
      else if (sent?.notification) navigate(`/notifications/${sent.notification.id}`);
    } catch (error) {
      if (error instanceof Unreadable) setUnreadable(error);
      else setProblem(toProblem(error));
    } finally {
      setBusy(false);
    }
  }

  const fault = unreadable ?? problem;
  const form = useRef<HTMLFormElement>(null);
  useEffect(() => {
    if (fault) form.current?.querySelector<HTMLElement>("[aria-invalid=true]")?.focus();
  }, [fault]);

  const errorOf = (field: string): string | undefined =>
    unreadable?.field === field
      ? unreadable.message
      : problem?.field === field
        ? problem.message
        : undefined;
  const shared = { draft, change, errorOf };
  const isShown = FIELDS.some((field) => errorOf(field) !== undefined);
  return (
    <Page title="Compose" lead="Nothing goes out before you have seen whom it reaches.">
      <div className="compose">
        <Form
          ref={form}
          className="stack"
          onSubmit={(event) => {
            event.preventDefault();
            void ask(true);
          }}
        >
          <AudienceFields {...shared} audiences={options?.pushAudiences?.nodes ?? []} />
          <ContentFields {...shared} events={options?.notificationEvents?.nodes ?? []} />
          <TimeFields {...shared} />
          {problem && !isShown && <Failure problem={problem} />}
          <div className="actions">
            <Button type="submit" className="button" isPending={isBusy}>
              Count whom it reaches
            </Button>
            <Confirm
              action={draft.when === "now" ? "Send" : "Schedule"}
              title={draft.when === "now" ? "Send this now?" : "Schedule this?"}
              isPrimary
              isDisabled={!isCounted || isBusy}
              onConfirm={() => void ask(false)}
            >
              It goes to {counted(reach?.recipients, "person", "people")} on{" "}
              {counted(reach?.devices, "device")}.
            </Confirm>
          </div>
          <p role="status" className="reach">
            {isCounted && reach
              ? `Reaches ${counted(reach.recipients, "person", "people")} on ${counted(reach.devices, "device")}.`
              : fault
                ? `Nothing was counted. ${fault.message}`
                : "Count first, then send."}
          </p>
        </Form>
        <Previews draft={draft} />
      </div>
    </Page>
  );
}

const FIELDS = ["users", "audience", "event", "title", "message", "data", "sendAt", "sendAtLocal"];
