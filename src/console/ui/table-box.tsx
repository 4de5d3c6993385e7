import type { ReactNode } from "react";

/** Where a table is wider than the page it scrolls here, by keys as well. */
export function TableBox({ label, children }: { label: string; children: ReactNode }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: who has no mouse scrolls by keys
    <section className="table-box" aria-label={label} tabIndex={0}>
      {children}
    </section>
  );
}
