import { FailedJobsDocument, RetryJobDocument } from "../graphql/generated.ts";
import { useAction } from "../graphql/use-action.ts";
import { useLiveQuery } from "../graphql/use-live-query.ts";
import { Confirm } from "../ui/confirm.tsx";
import { Page } from "../ui/page.tsx";
import { Answered, Failure, Nothing } from "../ui/states.tsx";
import { When } from "../ui/when.tsx";

export default function Jobs() {
  const answer = useLiveQuery(FailedJobsDocument, { offset: 0 });
  const retry = useAction(RetryJobDocument);
  return (
    <Page
      title="Failed jobs"
      lead="Jobs whose last attempt failed; most are tried again by themselves."
    >
      {retry.problem && <Failure problem={retry.problem} />}
      <Answered answer={answer}>
        {({ failedJobs }) => {
          const jobs = (failedJobs?.nodes ?? []).filter((job) => job !== null);
          if (jobs.length === 0) return <Nothing title="No job has failed.">All is well.</Nothing>;
          return (
            <ul className="cards">
              {jobs.map((job) => (
                <li key={job.id} className="card">
                  <header className="section-head">
                    <h2>
                      {job.task} <span className="sub-inline">#{job.id}</span>
                    </h2>
                    <Confirm
                      action="Try again now"
                      title="Try this job again?"
                      isBusy={retry.isBusy}
                      onConfirm={async () =>
                        (await retry.run({ id: job.id as string })) && answer.refetch()
                      }
                    >
                      It gets all its attempts anew.
                    </Confirm>
                  </header>
                  <p className="muted">
                    {job.attempts} of {job.maxAttempts} attempts ·{" "}
                    {job.isGivenUp ? (
                      <strong>given up</strong>
                    ) : (
                      <>
                        again <When at={job.runAt} absolute />
                      </>
                    )}{" "}
                    · since <When at={job.createdAt} />
                  </p>
                  <pre className="error-text">{job.lastError}</pre>
                </li>
              ))}
            </ul>
          );
        }}
      </Answered>
    </Page>
  );
}
