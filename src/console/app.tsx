import {
  type ComponentType,
  lazy,
  type ReactNode,
  Suspense,
  useEffect,
  useState,
  useSyncExternalStore,
} from "react";
import { RouterProvider } from "react-aria-components";
import { Provider } from "urql";
import { Route, Router, Switch, useLocation } from "wouter";
import { development } from "./development.ts";
import { type Connection, connect } from "./graphql/client.ts";
import { LiveProvider } from "./graphql/live.tsx";
import { LogIn } from "./session/log-in.tsx";
import { NotAnOperator } from "./session/not-an-operator.tsx";
import { currentSession, onSession, roleOf } from "./session/session.ts";
import { Boundary } from "./ui/boundary.tsx";
import { Page } from "./ui/page.tsx";
import { Shell } from "./ui/shell.tsx";
import { Loading, Nothing } from "./ui/states.tsx";

/** How long after the first page the other pages' scripts are fetched, milliseconds. */
const AFTER_THE_FIRST = 2000;
/** The pages' scripts: they come before they are needed, so that a server that is away later empties no page. */
const parts: (() => Promise<unknown>)[] = [];
function part<P extends object>(load: () => Promise<{ default: ComponentType<P> }>) {
  parts.push(load);
  return lazy(load);
}

const Overview = part(() => import("./overview/overview.tsx"));
const Notifications = part(() => import("./notifications/notifications.tsx"));
const Notification = part(() => import("./notifications/notification.tsx"));
const Compose = part(() => import("./compose/compose.tsx"));
const Users = part(() => import("./users/users.tsx"));
const User = part(() => import("./users/user.tsx"));
const Jobs = part(() => import("./jobs/jobs.tsx"));
const Access = part(() => import("./access/access.tsx"));
const Schema = part(() => import("./schema/schema.tsx"));
const Phones = part(() => import("./development/phones.tsx"));
const Saves = part(() => import("./development/saves.tsx"));
const Messages = part(() => import("./development/messages.tsx"));

/** Whatever address was asked for stays in the address bar: after log-in it is shown. */
export function App() {
  const session = useSyncExternalStore(onSession, currentSession);
  if (!session) return <LogIn />;
  if (roleOf(session) !== "howdah_operator") return <NotAnOperator />;
  return (
    <Connected>
      <Router base="/console">
        <Navigation>
          <Shell>
            <Boundary>
              <Suspense fallback={<Loading />}>
                <Pages />
              </Suspense>
            </Boundary>
          </Shell>
        </Navigation>
      </Router>
    </Connected>
  );
}

function Pages() {
  return (
    <Switch>
      <Route path="/" component={Overview} />
      <Route path="/notifications" component={Notifications} />
      <Route path="/notifications/:id">
        {({ id }) => <Notification key={id} id={Number(id)} />}
      </Route>
      <Route path="/compose" component={Compose} />
      <Route path="/users" component={Users} />
      <Route path="/users/:id">{({ id }) => <User key={id} id={Number(id)} />}</Route>
      <Route path="/jobs" component={Jobs} />
      <Route path="/access" component={Access} />
      <Route path="/schema" component={Schema} />
      {development?.phones && <Route path="/phones" component={Phones} />}
      {development && <Route path="/saves" component={Saves} />}
      {development && <Route path="/messages" component={Messages} />}
      <Route>
        <Page title="Nothing here">
          <Nothing title="There is no page at this address.">Choose one from the menu.</Nothing>
        </Page>
      </Route>
    </Switch>
  );
}

/** One connection for as long as somebody is logged in. */
function Connected({ children }: { children: ReactNode }) {
  const [connection, setConnection] = useState<Connection>();
  useEffect(() => {
    const made = connect();
    setConnection(made);
    const timer = setTimeout(() => {
      // What does not come now is asked for again when its page is.
      for (const load of parts) load().catch(() => undefined);
    }, AFTER_THE_FIRST);
    return () => {
      clearTimeout(timer);
      void made.socket.dispose();
    };
  }, []);
  if (!connection) return null;
  return (
    <Provider value={connection.client}>
      <LiveProvider connection={connection}>{children}</LiveProvider>
    </Provider>
  );
}

/** The component library's links go by the router, too. */
function Navigation({ children }: { children: ReactNode }) {
  const [, navigate] = useLocation();
  return (
    <RouterProvider navigate={navigate} useHref={(href) => `/console${href}`}>
      {children}
    </RouterProvider>
  );
}
