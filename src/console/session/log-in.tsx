import { type FormEvent, useState, useSyncExternalStore } from "react";
import { Button, Form } from "react-aria-components";
import { development } from "../development.ts";
import { type Problem, toProblem } from "../graphql/problem.ts";
import { TextBox } from "../ui/fields.tsx";
import { Failure } from "../ui/states.tsx";
import { useTitle } from "../ui/use-title.ts";
import { isLeftOpen, logIn, onSession } from "./session.ts";

/** Stands in for whatever page was asked for. */
export function LogIn() {
  useTitle("Log in");
  const [identifier, setIdentifier] = useState("");
  const [password, setPassword] = useState("");
  const [isBusy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem>();
  const leftOpen = useSyncExternalStore(onSession, isLeftOpen);

  async function enter(as: { identifier: string; password: string }) {
    setBusy(true);
    setProblem(undefined);
    try {
      await logIn(as.identifier, as.password);
    } catch (error) {
      setProblem(toProblem(error));
      setBusy(false);
    }
  }
  function submit(event: FormEvent) {
    event.preventDefault();
    void enter({ identifier, password });
  }

  return (
    <main className="log-in">
      <p className="brand">Howdah</p>
      <h1>Log in</h1>
      <p className="muted">For operators: did it arrive, and if not, why?</p>
      {leftOpen && (
        <p role="status" className="hold">
          The server could not be reached: you are logged out here, but the session goes on there.
          Log in again, and end it on your page under Users.
        </p>
      )}
      {problem && <Failure problem={problem} />}
      <Form onSubmit={submit} className="stack">
        <TextBox
          label="E-mail or phone"
          value={identifier}
          onChange={setIdentifier}
          autoComplete="username"
          isRequired
        />
        <TextBox
          label="Password"
          type="password"
          value={password}
          onChange={setPassword}
          autoComplete="current-password"
          isRequired
        />
        <Button type="submit" className="button primary" isPending={isBusy}>
          Log in
        </Button>
      </Form>
      {development && (
        <Button
          className="button"
          isDisabled={isBusy}
          onPress={() => development && void enter(development.demo)}
        >
          Log in as the demo operator
        </Button>
      )}
    </main>
  );
}
