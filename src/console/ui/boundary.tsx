import { Component, type ReactNode } from "react";
import { useLocation } from "wouter";
import { useLive } from "../graphql/live.tsx";
import { Problem } from "../graphql/problem.ts";
import { Page } from "./page.tsx";
import { Failure } from "./states.tsx";

/** A page that could not be shown, such as one whose script did not come, leaves the menu where it is. */
export function Boundary({ children }: { children: ReactNode }) {
  const [location] = useLocation();
  const { isConnected } = useLive();
  return (
    <Catcher key={location} isConnected={isConnected}>
      {children}
    </Catcher>
  );
}

interface CatcherProps {
  isConnected: boolean | undefined;
  children: ReactNode;
}

class Catcher extends Component<CatcherProps, { error: unknown }> {
  override state: { error: unknown } = { error: undefined };

  static getDerivedStateFromError(error: unknown) {
    return { error };
  }

  override componentDidUpdate(before: CatcherProps) {
    // A browser asks no second time for a script that it did not get.
    const isBack = before.isConnected === false && this.props.isConnected === true;
    if (this.state.error !== undefined && isBack) location.reload();
  }

  override render() {
    const { error } = this.state;
    if (error === undefined) return this.props.children;
    return (
      <Page title="This page could not be shown">
        <Failure
          problem={
            new Problem({
              message: navigator.onLine
                ? "Its script did not come, or failed."
                : "The server cannot be reached.",
              extensions: {
                hint: "It is loaded anew as soon as the connection is back.",
                code: "NETWORK",
              },
            })
          }
          onRetry={() => location.reload()}
        />
      </Page>
    );
  }
}
