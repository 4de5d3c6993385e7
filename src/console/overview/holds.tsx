import {
  DecideCircuitBreakerDocument,
  LiftPushPauseDocument,
  type OverviewQuery,
} from "../graphql/generated.ts";
import { useAction } from "../graphql/use-action.ts";
import { Confirm } from "../ui/confirm.tsx";
import { Failure } from "../ui/states.tsx";
import { counted, platform } from "../ui/status.tsx";
import { When } from "../ui/when.tsx";

/** What holds pushes back at this moment, and what an operator can do about it. */
export function Holds({ data, onChanged }: { data: OverviewQuery; onChanged: () => void }) {
  const lift = useAction(LiftPushPauseDocument);
  const decide = useAction(DecideCircuitBreakerDocument);
  const pauses = (data.pushPauses?.nodes ?? []).filter(
    (pause) => pause && pause.endedAt === null && Date.parse(pause.pausedUntil) > Date.now(),
  );
  const breakers = (data.circuitBreakers?.nodes ?? []).filter(
    (breaker) => breaker && breaker.decidedAt === null,
  );
  const problem = lift.problem ?? decide.problem;
  async function settle(id: number, decision: "retry" | "tombstone") {
    if (await decide.run({ id, decision })) onChanged();
  }
  return (
    <>
      {problem && <Failure problem={problem} />}
      {pauses.length + breakers.length === 0 && (
        <p className="muted">Nothing is held back: no pause, and the circuit breaker is closed.</p>
      )}
      {pauses.map(
        (pause) =>
          pause && (
            <div key={pause.id} className="hold">
              <p>
                <strong>
                  Sending{pause.deviceType ? ` to ${platform(pause.deviceType)}` : ""} is paused
                </strong>{" "}
                until <When at={pause.pausedUntil} absolute />:{" "}
                {pause.errorCode.startsWith("OPERATOR") ? "an operator says so" : "FCM answered"}{" "}
                <code>{pause.errorCode}</code> ({counted(pause.occurrences, "time")} in a row).
              </p>
              <Confirm
                action="Lift the pause"
                title="Send again now?"
                isBusy={lift.isBusy}
                onConfirm={async () => (await lift.run({ id: pause.id })) && onChanged()}
              >
                Lift it once the cause is mended; else FCM refuses again, and the next pause is
                longer.
              </Confirm>
            </div>
          ),
      )}
      {breakers.map(
        (breaker) =>
          breaker && (
            <div key={breaker.id} className="hold">
              <p>
                <strong>{counted(breaker.deliveries, "delivery", "deliveries")} held.</strong>{" "}
                Suspiciously many {platform(breaker.deviceType)} addresses seemed dead at{" "}
                <When at={breaker.createdAt} />. Are they?
              </p>
              <div className="actions">
                <Confirm
                  action="Send again"
                  title="Send these again?"
                  onConfirm={() => void settle(breaker.id, "retry")}
                >
                  Right where FCM was mistaken, or was asked about another project’s tokens.
                </Confirm>
                <Confirm
                  action="Disable the devices"
                  title="Disable these devices?"
                  onConfirm={() => void settle(breaker.id, "tombstone")}
                >
                  They get no more pushes until their app registers again.
                </Confirm>
              </div>
            </div>
          ),
      )}
    </>
  );
}
