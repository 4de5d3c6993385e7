import { useEffect, useRef, useState } from "react";
import { type AnyVariables, type TypedDocumentNode, useClient } from "urql";
import { useLive } from "./live.tsx";
import { type Problem, toProblem } from "./problem.ts";

export interface Answer<TData> {
  /** The latest that came, of these variables; stays while newer is on its way, or fails. */
  data: TData | undefined;
  problem: Problem | undefined;
  isStale: boolean;
  refetch(): void;
}

/** A query that is asked again when something has happened; `every` milliseconds as well, where given. */
export function useLiveQuery<TData, TVariables extends AnyVariables>(
  document: TypedDocumentNode<TData, TVariables>,
  variables: TVariables,
  options: { every?: number | undefined } = {},
): Answer<TData> {
  const client = useClient();
  const { tick, isConnected } = useLive();
  const [asked, setAsked] = useState(0);
  const key = JSON.stringify(variables);
  const [answer, setAnswer] = useState<{ key: string; data?: TData; problem?: Problem }>({ key });
  const latest = useRef(variables);
  latest.current = variables;
  const isUnderWay = useRef(false);

  // biome-ignore lint/correctness/useExhaustiveDependencies: asked anew by key, tick and asked
  useEffect(() => {
    let isWanted = true;
    isUnderWay.current = true;
    client
      .query(document, latest.current)
      .toPromise()
      .then(({ data, error }) => {
        isUnderWay.current = false;
        if (!isWanted) return;
        setAnswer((before) => ({
          key,
          ...(error
            ? {
                problem: toProblem(error),
                ...(before.key === key ? { data: before.data as TData } : {}),
              }
            : { data: data as TData }),
        }));
      });
    return () => {
      isWanted = false;
    };
  }, [client, document, key, tick, asked]);

  useEffect(() => {
    if (options.every === undefined) return;
    const timer = setInterval(() => {
      if (!isUnderWay.current) setAsked((count) => count + 1);
    }, options.every);
    return () => clearInterval(timer);
  }, [options.every]);

  const isMine = answer.key === key;
  return {
    data: isMine ? answer.data : undefined,
    problem: isMine ? answer.problem : undefined,
    isStale: Boolean(isMine && answer.problem) || isConnected === false,
    refetch: () => setAsked((count) => count + 1),
  };
}
