import { lazy, Suspense } from "react";
import { Link } from "wouter";
import { OverviewDocument, type OverviewQuery } from "../graphql/generated.ts";
import { useLiveQuery } from "../graphql/use-live-query.ts";
import { NotificationTable } from "../notifications/notification-table.tsx";
import { Page, Section } from "../ui/page.tsx";
import { Answered, Loading, Nothing } from "../ui/states.tsx";
import { count, counted } from "../ui/status.tsx";
import { lasting } from "../ui/when.tsx";
import { Holds } from "./holds.tsx";

const MinutesChart = lazy(() => import("./minutes-chart.tsx"));

/** How sending stands, at one look. */
export default function Overview() {
  const answer = useLiveQuery(OverviewDocument, {});
  return (
    <Page
      title="Overview"
      lead="The last hour, live."
      actions={
        <Link href="/compose" className="button primary">
          Compose
        </Link>
      }
    >
      <Answered answer={answer}>
        {(data) => {
          const minutes = (data.pushMinutes?.nodes ?? []).filter((minute) => minute !== null);
          const recent = (data.searchNotifications?.nodes ?? []).filter((row) => row !== null);
          return (
            <>
              <Holds data={data} onChanged={answer.refetch} />
              <State state={data.pushState} />
              <Section title="Pushes by minute and outcome">
                <Suspense fallback={<Loading />}>
                  <MinutesChart minutes={minutes} />
                </Suspense>
              </Section>
              <Section
                title="Latest notifications"
                aside={<Link href="/notifications">All notifications</Link>}
              >
                {recent.length === 0 ? (
                  <Nothing title="Nothing has been sent yet.">
                    Compose a notification, or call app_private.notify() from SQL.
                  </Nothing>
                ) : (
                  <NotificationTable rows={recent} />
                )}
              </Section>
            </>
          );
        }}
      </Answered>
    </Page>
  );
}

function State({ state }: { state: OverviewQuery["pushState"] }) {
  if (!state) return null;
  const { queued, oldestSeconds, waiting, scheduled, latencyMedian, latencyP95, workers } = state;
  return (
    <dl className="figures">
      <Figure
        name="In the queue"
        value={count(queued)}
        more={
          oldestSeconds == null
            ? `${count(waiting)} wait for their time`
            : `oldest ${lasting(oldestSeconds * 1000)}`
        }
      />
      <Figure
        name="notify() to accepted"
        value={lasting(latencyMedian)}
        more={latencyP95 == null ? "none in the last hour" : `95 % within ${lasting(latencyP95)}`}
      />
      <Figure name="Scheduled" value={count(scheduled)} more="not begun yet" />
      <Figure
        name="Workers"
        value={count(workers)}
        more={workers === 0 ? "nothing is sent: start one" : "alive"}
        isBad={workers === 0}
      />
      <Figure
        name="Failed jobs"
        value={count(state.failedJobs)}
        more={
          state.failedJobs ? (
            <Link href="/jobs">Look at {counted(state.failedJobs, "job")}</Link>
          ) : (
            "none"
          )
        }
        isBad={Boolean(state.failedJobs)}
      />
    </dl>
  );
}

function Figure(props: { name: string; value: string; more: React.ReactNode; isBad?: boolean }) {
  return (
    <div className="figure" data-bad={props.isBad || undefined}>
      <dt>{props.name}</dt>
      <dd>
        <span className="figure-value">{props.value}</span>
        <span className="figure-more">{props.more}</span>
      </dd>
    </div>
  );
}
