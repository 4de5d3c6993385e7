import { Checkbox, Label, Radio, RadioGroup } from "react-aria-components";
import { Choice, TextBox } from "../ui/fields.tsx";
import { timeZone } from "../ui/when.tsx";
import type { Draft } from "./draft.ts";

interface Shared {
  draft: Draft;
  change: (part: Partial<Draft>) => void;
  errorOf: (field: string) => string | undefined;
}

export function AudienceFields(props: Shared & { audiences: (string | null)[] }) {
  const { draft, change, errorOf, audiences } = props;
  const named = audiences.filter((name) => name !== null);
  return (
    <>
      <Radios
        label="To"
        value={draft.to}
        onChange={(to) => change({ to, audience: draft.audience || (named[0] ?? "") })}
        options={[
          ["users", "Users"],
          ["audience", "A named audience"],
        ]}
      />
      {draft.to === "users" ? (
        <TextBox
          label="Users, by number"
          value={draft.users}
          onChange={(users) => change({ users })}
          error={errorOf("users")}
          hint="Separated by commas or spaces."
        />
      ) : named.length > 0 ? (
        <Choice
          label="Audience"
          value={draft.audience}
          onChange={(audience) => change({ audience })}
          options={named.map((name) => [name, name] as const)}
        />
      ) : (
        <p className="muted">
          There is none yet: each view with a column user_id in the schema app_audiences is one.
        </p>
      )}
      {draft.to === "audience" && errorOf("audience") && (
        <p className="field-error">{errorOf("audience")}</p>
      )}
    </>
  );
}

export function ContentFields(
  props: Shared & { events: ({ event: string; description: string } | null)[] },
) {
  const { draft, change, errorOf } = props;
  const events = props.events.filter((event) => event !== null);
  return (
    <>
      {events.length > 0 ? (
        <Choice
          label="Event"
          value={draft.event}
          onChange={(event) => change({ event })}
          options={events.map(({ event, description }) => [event, `${event}: ${description}`])}
        />
      ) : (
        <TextBox
          label="Event"
          value={draft.event}
          onChange={(event) => change({ event })}
          error={errorOf("event")}
          hint="What happened, such as order.shipped."
        />
      )}
      {!draft.isSilent && (
        <>
          <TextBox
            label="Title"
            value={draft.title}
            onChange={(title) => change({ title })}
            error={errorOf("title")}
          />
          <TextBox
            label="Text"
            lines={3}
            value={draft.message}
            onChange={(message) => change({ message })}
            error={errorOf("message")}
          />
        </>
      )}
      <TextBox
        label="Data"
        lines={2}
        value={draft.data}
        onChange={(data) => change({ data })}
        error={errorOf("data")}
        hint="For the app: key=value, one a line."
      />
      <div className="row">
        <Check isOn={draft.isSilent} onChange={(isSilent) => change({ isSilent })}>
          Silent: data for the app alone
        </Check>
        <Check isOn={draft.hasBadge} onChange={(hasBadge) => change({ hasBadge })}>
          With the count of unread
        </Check>
        <Check
          isOn={draft.priority === "HIGH"}
          onChange={(isHigh) => change({ priority: isHigh ? "HIGH" : "NORMAL" })}
        >
          Wake the device
        </Check>
      </div>
    </>
  );
}

export function TimeFields({ draft, change, errorOf }: Shared) {
  return (
    <>
      <Radios
        label="When"
        value={draft.when}
        onChange={(when) => change({ when })}
        options={[
          ["now", "Now"],
          ["at", "At a time"],
          ["local", "At each recipient’s own clock"],
        ]}
      />
      {draft.when !== "now" && (
        <TextBox
          label="Day and time"
          type={"datetime-local" as "text"}
          value={draft.at}
          onChange={(at) => change({ at })}
          error={errorOf("sendAt") ?? errorOf("sendAtLocal")}
          hint={
            draft.when === "at" ? `Your time zone: ${timeZone}.` : "By each recipient’s time zone."
          }
        />
      )}
    </>
  );
}

function Radios<T extends string>(props: {
  label: string;
  value: T;
  onChange: (value: T) => void;
  options: readonly (readonly [T, string])[];
}) {
  const { label, value, onChange, options } = props;
  return (
    <RadioGroup className="radios" value={value} onChange={(next) => onChange(next as T)}>
      <Label>{label}</Label>
      <div className="segments">
        {options.map(([id, name]) => (
          <Radio key={id} value={id} className="segment">
            {name}
          </Radio>
        ))}
      </div>
    </RadioGroup>
  );
}

function Check(props: { isOn: boolean; onChange: (isOn: boolean) => void; children: string }) {
  return (
    <Checkbox className="check" isSelected={props.isOn} onChange={props.onChange}>
      <span className="check-box" aria-hidden="true" />
      {props.children}
    </Checkbox>
  );
}
