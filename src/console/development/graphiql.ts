import { accessToken, currentSession, onSession } from "../session/session.ts";

/** Where GraphiQL looks for the headers to begin with. */
const KEY = "graphiql:headers";

/** Opens GraphiQL with a token that is good: it serves until it runs out, then open it again. */
export async function openGraphiql(): Promise<void> {
  const token = await accessToken();
  if (token === undefined) return;
  localStorage.setItem(KEY, JSON.stringify({ authorization: `Bearer ${token}` }, null, 2));
  open("/graphiql", "_blank", "noopener");
}

// Who logs out leaves no token behind, not even one that is worth nothing any more.
onSession(() => {
  if (!currentSession()) localStorage.removeItem(KEY);
});
