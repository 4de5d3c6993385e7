/** Who follows which topic. */
export interface Topics {
  subscribe(token: string, topic: string): void;
  unsubscribe(token: string, topic: string): void;
  of(token: string): string[];
  /** The tokens that a message to this topic goes to. */
  followers(topic: string): Iterable<string>;
  /** The tokens that a message to this condition goes to. */
  meeting(condition: string): string[];
  forget(token: string): void;
  clear(): void;
}

export function createTopics(): Topics {
  const tokens = new Map<string, Set<string>>();
  const topicsOf = new Map<string, Set<string>>();
  return {
    subscribe(token, topic) {
      put(tokens, topic, token);
      put(topicsOf, token, topic);
    },
    unsubscribe(token, topic) {
      tokens.get(topic)?.delete(token);
      topicsOf.get(token)?.delete(topic);
    },
    of: (token) => [...(topicsOf.get(token) ?? [])],
    followers: (topic) => tokens.get(topic) ?? [],
    meeting(condition) {
      const holds = parseCondition(condition);
      if (!holds) return [];
      return [...topicsOf].filter(([, topics]) => holds(topics)).map(([token]) => token);
    },
    forget(token) {
      for (const topic of topicsOf.get(token) ?? []) tokens.get(topic)?.delete(token);
      topicsOf.delete(token);
    },
    clear() {
      tokens.clear();
      topicsOf.clear();
    },
  };
}

function put(map: Map<string, Set<string>>, key: string, value: string): void {
  const set = map.get(key);
  if (set) set.add(value);
  else map.set(key, new Set([value]));
}

type Condition = (topics: ReadonlySet<string>) => boolean;

/** Most topics in one condition. */
const MAX_TOPICS = 5;

/**
 * Reads `'a' in topics && ('b' in topics || !('c' in topics))`; undefined where it is none. `&&` and
 * `||` bind alike, from the left, as FCM documents it.
 */
export function parseCondition(condition: string): Condition | undefined {
  const words = condition.match(/'[\w.~%-]+'\s+in\s+topics|&&|\|\||[!()]|\S/g) ?? [];
  if (words.filter((word) => word.startsWith("'")).length > MAX_TOPICS) return undefined;
  let at = 0;

  function all(): Condition | undefined {
    let left = one();
    while (left && (words[at] === "&&" || words[at] === "||")) {
      const and = words[at++] === "&&";
      const [first, second] = [left, one()];
      left =
        second &&
        ((topics) => (and ? first(topics) && second(topics) : first(topics) || second(topics)));
    }
    return left;
  }

  function one(): Condition | undefined {
    const word = words[at++] ?? "";
    if (word === "!") {
      const negated = one();
      return negated && ((topics) => !negated(topics));
    }
    if (word === "(") {
      const inner = all();
      return words[at++] === ")" ? inner : undefined;
    }
    const topic = /^'([^']+)'./.exec(word)?.[1];
    return topic === undefined ? undefined : (topics) => topics.has(topic);
  }

  const parsed = all();
  return at === words.length ? parsed : undefined;
}
