import { useCallback } from "react";
import { useSearchParams } from "wouter";

/** A value that lives in the address, so that a link and a reload have it. */
export function useAddress(name: string): [string, (value: string) => void] {
  const [parameters, setParameters] = useSearchParams();
  const set = useCallback(
    (value: string) =>
      setParameters(
        (before) => {
          const next = new URLSearchParams(before);
          if (value === "") next.delete(name);
          else next.set(name, value);
          // Whatever is narrowed down begins at its beginning.
          if (name !== "page") next.delete("page");
          return next;
        },
        { replace: true },
      ),
    [name, setParameters],
  );
  return [parameters.get(name) ?? "", set];
}
