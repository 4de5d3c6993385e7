import { Button } from "react-aria-components";
import { useTitle } from "../ui/use-title.ts";
import { logOut } from "./session.ts";

export function NotAnOperator() {
  useTitle("No access");
  return (
    <main className="log-in">
      <p className="brand">Howdah</p>
      <h1>This is for operators</h1>
      <p>
        This account is not an operator’s. Whoever runs Howdah grants it with{" "}
        <code>npm run howdah -- operator:grant</code> and your e-mail address; then log in again.
      </p>
      <Button className="button primary" onPress={() => void logOut()}>
        Log out
      </Button>
    </main>
  );
}
