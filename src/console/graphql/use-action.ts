import { useState } from "react";
import { type AnyVariables, type TypedDocumentNode, useClient } from "urql";
import { type Problem, toProblem } from "./problem.ts";

/** A mutation with what became of it. */
export function useAction<TData, TVariables extends AnyVariables>(
  document: TypedDocumentNode<TData, TVariables>,
) {
  const client = useClient();
  const [isBusy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem>();
  return {
    isBusy,
    problem,
    forget: () => setProblem(undefined),
    /** Undefined where it failed, which `problem` tells of. */
    async run(variables: TVariables): Promise<TData | undefined> {
      setBusy(true);
      setProblem(undefined);
      const { data, error } = await client.mutation(document, variables).toPromise();
      setBusy(false);
      if (error) setProblem(toProblem(error));
      return error ? undefined : data;
    },
  };
}
