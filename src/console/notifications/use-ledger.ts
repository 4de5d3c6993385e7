import { useEffect, useRef, useState } from "react";
import { useClient } from "urql";
import {
  DeliveriesDocument,
  type DeliveriesQuery,
  DeliveryCountDocument,
  type DeliveryStatus,
} from "../graphql/generated.ts";
import { useLive } from "../graphql/live.tsx";
import { type Problem, toProblem } from "../graphql/problem.ts";

export type Delivery = NonNullable<
  NonNullable<DeliveriesQuery["notification"]>["deliveries"]["nodes"][number]
>;

export const PAGE = 100;
/** Kept at most: of a hundred thousand rows the ones around those that are looked at. */
const MAX_PAGES = 30;
/** Whoever scrolls fast does not mean what flies by, milliseconds. */
const CALM = 80;

/** The rows of a ledger, by pages as they come into sight. `first` and `last` are in sight. */
export function useLedger(
  id: number,
  statuses: DeliveryStatus[] | undefined,
  first: number,
  last: number,
) {
  const client = useClient();
  const { tick } = useLive();
  const pages = useRef(new Map<number, { rows: Delivery[]; tick: number }>());
  const [, redraw] = useState(0);
  const [total, setTotal] = useState<number>();
  const [problem, setProblem] = useState<Problem>();
  const key = String(statuses);

  // biome-ignore lint/correctness/useExhaustiveDependencies: another choice is another ledger
  useEffect(() => {
    pages.current.clear();
    setTotal(undefined);
  }, [id, key]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: counted anew by key and tick
  useEffect(() => {
    let isWanted = true;
    client
      .query(DeliveryCountDocument, { id, ...(statuses && { statuses }) })
      .toPromise()
      .then(({ data, error }) => {
        if (!isWanted) return;
        setProblem(error && toProblem(error));
        if (data) setTotal(data.notification?.deliveries.totalCount ?? 0);
      });
    return () => {
      isWanted = false;
    };
  }, [client, id, key, tick]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: asked anew by key and tick
  useEffect(() => {
    let isWanted = true;
    const timer = setTimeout(async () => {
      for (let page = Math.floor(first / PAGE); page <= Math.floor(last / PAGE); page += 1) {
        if (pages.current.get(page)?.tick === tick) continue;
        const { data } = await client
          .query(DeliveriesDocument, {
            id,
            ...(statuses && { statuses }),
            first: PAGE,
            offset: page * PAGE,
          })
          .toPromise();
        if (!isWanted) return;
        if (!data) continue;
        const rows = (data.notification?.deliveries.nodes ?? []).filter((row) => row !== null);
        pages.current.delete(page);
        pages.current.set(page, { rows, tick });
        const [oldest] = pages.current.keys();
        if (pages.current.size > MAX_PAGES && oldest !== undefined) pages.current.delete(oldest);
        redraw((count) => count + 1);
      }
    }, CALM);
    return () => {
      isWanted = false;
      clearTimeout(timer);
    };
  }, [client, id, key, tick, Math.floor(first / PAGE), Math.floor(last / PAGE)]);

  return {
    total,
    problem,
    row: (index: number): Delivery | undefined =>
      pages.current.get(Math.floor(index / PAGE))?.rows[index % PAGE],
  };
}
