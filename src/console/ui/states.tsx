import type { ReactNode } from "react";
import { Button, ProgressBar } from "react-aria-components";
import type { Problem } from "../graphql/problem.ts";
import type { Answer } from "../graphql/use-live-query.ts";

export function Loading({ label = "Loading" }: { label?: string }) {
  return (
    <ProgressBar isIndeterminate aria-label={label} className="loading">
      <span className="loading-line" />
    </ProgressBar>
  );
}

/** An empty state: what it means, and what to do. */
export function Nothing(props: { title: string; children?: ReactNode }) {
  return (
    <div className="nothing">
      <p className="nothing-title">{props.title}</p>
      {props.children && <p className="muted">{props.children}</p>}
    </div>
  );
}

export function Failure(props: { problem: Problem; onRetry?: (() => void) | undefined }) {
  const { problem, onRetry } = props;
  return (
    <div className="failure" role="alert">
      <p>
        <strong>{problem.message}</strong> {problem.hint}
      </p>
      {onRetry && (
        <Button className="button" onPress={onRetry}>
          Try again
        </Button>
      )}
    </div>
  );
}

/** The state of a query, until there is something to show. */
export function Answered<TData>(props: {
  answer: Answer<TData>;
  children: (data: TData) => ReactNode;
}) {
  const { data, problem, refetch } = props.answer;
  return (
    <>
      {problem && <Failure problem={problem} onRetry={refetch} />}
      {data !== undefined ? props.children(data) : !problem && <Loading />}
    </>
  );
}
