import type { ReactNode } from "react";
import { ExplainDocument } from "../graphql/generated.ts";
import { useLiveQuery } from "../graphql/use-live-query.ts";
import { TextBox } from "../ui/fields.tsx";
import { Section } from "../ui/page.tsx";
import { Failure, Loading } from "../ui/states.tsx";
import { useAddress } from "../ui/use-address.ts";
import { When } from "../ui/when.tsx";

/** "Why did notification 7 not reach them?", in one sentence. */
export function Explain({ userId }: { userId: number }) {
  const [number, setNumber] = useAddress("notification");
  const isNumber = /^[1-9]\d{0,9}$/.test(number) && Number(number) < 2 ** 31;
  return (
    <Section title="Did it reach them?">
      <div className="explain">
        <TextBox
          label="Notification, by number"
          inputMode="numeric"
          value={number}
          onChange={setNumber}
          error={
            number !== "" && !isNumber ? "The number of a notification, such as 7." : undefined
          }
        />
        <div role="status" className="explanation">
          {isNumber ? (
            <Sentence notificationId={Number(number)} userId={userId} />
          ) : (
            <p className="muted">
              Give the number of a notification, and it is said in a sentence.
            </p>
          )}
        </div>
      </div>
    </Section>
  );
}

function Sentence(ids: { notificationId: number; userId: number }) {
  const { data, problem } = useLiveQuery(ExplainDocument, ids);
  if (data) return <p className="sentence">{withTimes(data.explainDelivery ?? "")}</p>;
  return problem ? <Failure problem={problem} /> : <Loading />;
}

/** The server says times in UTC; here they stand in the zone of who looks. */
function withTimes(sentence: string): ReactNode[] {
  return sentence
    .split(/(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC)/)
    .map((part, index) =>
      index % 2 === 0 ? (
        part
      ) : (
        <When key={part} at={part.replace(" UTC", "Z").replace(" ", "T")} absolute />
      ),
    );
}
