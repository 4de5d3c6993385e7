import { useEffect, useState } from "react";
import { authorized } from "../graphql/client.ts";
import { type Problem, toProblem } from "../graphql/problem.ts";

/** What /console/development has; asked again where `tick` changes. */
export function useJson<T>(path: string, tick: number) {
  const [data, setData] = useState<T>();
  const [problem, setProblem] = useState<Problem>();
  // biome-ignore lint/correctness/useExhaustiveDependencies: asked again by tick
  useEffect(() => {
    const over = new AbortController();
    (async () => {
      const answer = await authorized(`/console/development/${path}`, { signal: over.signal });
      const body = await answer.json();
      if (!answer.ok) throw body.errors;
      setData(body as T);
      setProblem(undefined);
    })().catch((error) => !over.signal.aborted && setProblem(toProblem(error)));
    return () => over.abort();
  }, [path, tick]);
  return { data, problem };
}
