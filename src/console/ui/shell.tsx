import { type ReactNode, useEffect, useRef, useState } from "react";
import { Button, ToggleButton } from "react-aria-components";
import { Link, useLocation } from "wouter";
import { openGraphiql } from "../development/graphiql.ts";
import { development } from "../development.ts";
import { useLive } from "../graphql/live.tsx";
import { logOut } from "../session/session.ts";
import { useExact } from "./exact.ts";

const MAIN: [string, string][] = [
  ["/", "Overview"],
  ["/notifications", "Notifications"],
  ["/compose", "Compose"],
  ["/users", "Users"],
  ["/jobs", "Failed jobs"],
  ["/access", "Access"],
  ["/schema", "Schema"],
];

const DEVELOPMENT: [string, string][] = [
  ["/saves", "Saves"],
  ...(development?.phones ? ([["/phones", "Phones"]] as [string, string][]) : []),
  ["/messages", "Mails and SMS"],
];

/** What stands around every page. */
export function Shell({ children }: { children: ReactNode }) {
  const [isOpen, setOpen] = useState(false);
  const [isExact, setExact] = useExact();
  const menuButton = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (!isOpen) return;
    const close = ({ key }: KeyboardEvent) => {
      if (key !== "Escape") return;
      setOpen(false);
      menuButton.current?.focus();
    };
    document.addEventListener("keydown", close);
    return () => document.removeEventListener("keydown", close);
  }, [isOpen]);
  return (
    <div className="shell">
      <a className="skip" href="#content">
        Skip to the content
      </a>
      <header className="bar">
        <div className="bar-top">
          <Link href="/" className="brand">
            Howdah
          </Link>
          <Button
            ref={menuButton}
            className="button menu-button"
            aria-expanded={isOpen}
            aria-controls="menu"
            onPress={() => setOpen(!isOpen)}
          >
            Menu
          </Button>
        </div>
        <nav id="menu" aria-label="Pages" data-open={isOpen || undefined}>
          <Places places={MAIN} onGo={() => setOpen(false)} />
          {development && (
            <>
              <p className="nav-head" id="nav-development">
                Development
              </p>
              <Places
                places={DEVELOPMENT}
                onGo={() => setOpen(false)}
                labelledBy="nav-development"
              />
              {development.graphiql && (
                <a
                  className="place"
                  href="/graphiql"
                  target="_blank"
                  rel="noreferrer"
                  onClick={(event) => {
                    event.preventDefault();
                    void openGraphiql();
                  }}
                >
                  GraphiQL ↗ <span className="hidden">with your token, in another tab</span>
                </a>
              )}
            </>
          )}
          <div className="nav-foot">
            <ConnectionState />
            <ToggleButton className="button quiet" isSelected={isExact} onChange={setExact}>
              Exact times
            </ToggleButton>
            <Button className="button quiet" onPress={() => void logOut()}>
              Log out
            </Button>
          </div>
        </nav>
      </header>
      <main id="content" tabIndex={-1}>
        {children}
      </main>
    </div>
  );
}

function Places(props: { places: [string, string][]; onGo: () => void; labelledBy?: string }) {
  const [location] = useLocation();
  return (
    <ul className="places" aria-labelledby={props.labelledBy}>
      {props.places.map(([path, name]) => {
        const isHere = path === "/" ? location === "/" : location.startsWith(path);
        return (
          <li key={path}>
            <Link
              href={path}
              className="place"
              aria-current={isHere ? "page" : undefined}
              onClick={props.onGo}
            >
              {name}
            </Link>
          </li>
        );
      })}
    </ul>
  );
}

/** Whether what is shown is what is. */
function ConnectionState() {
  const { isConnected } = useLive();
  const text =
    isConnected === undefined ? "Connecting" : isConnected ? "Live" : "Connection lost, retrying";
  return (
    <p className="connection" role="status" data-state={isConnected === false ? "lost" : "live"}>
      {text}
    </p>
  );
}
