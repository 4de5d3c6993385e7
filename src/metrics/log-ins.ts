import type { Auth } from "../auth/auth.ts";
import { ApiError } from "../errors.ts";
import type { ApiMetrics, LogInMethod, LogInOutcome } from "./api-metrics.ts";

/** The same, counting how log-ins end. */
export function countLogIns(auth: Auth, { countLogIn }: ApiMetrics): Auth {
  const { accounts, signIn } = auth;
  const counted =
    <TArgs extends unknown[], TResult>(
      method: LogInMethod,
      run: (...args: TArgs) => Promise<TResult>,
    ) =>
    async (...args: TArgs): Promise<TResult> => {
      try {
        const result = await run(...args);
        countLogIn(method, "ok");
        return result;
      } catch (error) {
        countLogIn(method, outcomeOf(error));
        throw error;
      }
    };
  return {
    ...auth,
    accounts: {
      ...accounts,
      logIn: counted("password", accounts.logIn),
      refresh: counted("refresh", accounts.refresh),
    },
    signIn: {
      ...signIn,
      exchangeCode: counted("provider", signIn.exchangeCode),
      logInWithIdToken: counted("id_token", signIn.logInWithIdToken),
    },
  };
}

function outcomeOf(error: unknown): LogInOutcome {
  const { code } = error as { code?: unknown };
  if (code === "RATE_LIMITED") return "limited";
  const isRefusal =
    error instanceof ApiError ? code !== "UNAVAILABLE" : String(code).startsWith("HW");
  return isRefusal ? "refused" : "failed";
}
