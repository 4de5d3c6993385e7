import { type ReactNode, useEffect, useRef } from "react";
import { useTitle } from "./use-title.ts";

let isFirst = true;

/** A page: its heading takes the focus when one comes from another page. */
export function Page(props: {
  title: string;
  /** Beside the heading. */
  actions?: ReactNode;
  lead?: ReactNode;
  children: ReactNode;
}) {
  const { title, actions, lead, children } = props;
  useTitle(title);
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    if (!isFirst) heading.current?.focus();
    isFirst = false;
  }, []);
  return (
    <div className="page">
      <header className="page-head">
        <div>
          <h1 ref={heading} tabIndex={-1}>
            {title}
          </h1>
          {lead && <div className="lead">{lead}</div>}
        </div>
        {actions && <div className="actions">{actions}</div>}
      </header>
      {children}
    </div>
  );
}

export function Section(props: { title: string; aside?: ReactNode; children: ReactNode }) {
  return (
    <section className="section">
      <header className="section-head">
        <h2>{props.title}</h2>
        {props.aside}
      </header>
      {props.children}
    </section>
  );
}
