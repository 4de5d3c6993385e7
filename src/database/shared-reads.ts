import pLimit, { type LimitFunction } from "p-limit";
import type { PgClientQuery, WithPgClient } from "postgraphile/@dataplan/pg";
import type { NodePostgresPgClient } from "postgraphile/adaptors/pg";
import type { RequestSettings } from "./request-settings.ts";

/** Of one user at once: whoever subscribes to the same change a hundred times waits, and nobody else. */
const READS_PER_USER = 4;

/**
 * For subscriptions: when a row changes, each of its subscribers reads it again, and many of them are
 * the same to every policy. What asks the same as the same user in one turn of the event loop is read
 * once. Nothing that was sent before is shared: it may not have seen the change.
 */
export function shareReads(
  withPgClient: WithPgClient<NodePostgresPgClient>,
): WithPgClient<NodePostgresPgClient> {
  type Answer = Awaited<ReturnType<NodePostgresPgClient["query"]>>;
  let waiting = new Map<string, Promise<Answer>>();
  const turns = new Map<string, LimitFunction>();

  /** Runs it in its user's turn. */
  async function inTurn<T>(settings: RequestSettings, run: () => T | PromiseLike<T>): Promise<T> {
    const whose = settings["jwt.claims.user_id"] || `at ${settings["request.ip"]}`;
    const turn = turns.get(whose) ?? pLimit(READS_PER_USER);
    turns.set(whose, turn);
    try {
      return await turn(run);
    } finally {
      if (turn.activeCount + turn.pendingCount === 0) turns.delete(whose);
    }
  }

  function read(settings: RequestSettings, query: PgClientQuery): Promise<Answer> {
    const key = JSON.stringify([settings, query.text, query.values]);
    const known = waiting.get(key);
    if (known) return known;
    if (waiting.size === 0) {
      setImmediate(() => {
        waiting = new Map();
      });
    }
    const answer = new Promise<Answer>((resolve, reject) => {
      // After all of this turn have asked.
      setImmediate(() => {
        inTurn(settings, () => withPgClient(settings, (client) => client.query(query))).then(
          resolve,
          reject,
        );
      });
    });
    waiting.set(key, answer);
    return answer;
  }

  const shared: WithPgClient<NodePostgresPgClient> = (settings, callback) => {
    const client = {
      query: (query: PgClientQuery) => read(settings as RequestSettings, query),
      withTransaction: () => {
        throw new Error("A subscription reads, and changes nothing.");
      },
    } as unknown as NodePostgresPgClient;
    return Promise.resolve(callback(client));
  };
  shared.release = () => {};
  return shared;
}
