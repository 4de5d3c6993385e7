/** What a phone received: one accepted message. */
export interface ReceivedMessage {
  /** `projects/{project}/messages/{id}`, as in the answer to the sender. */
  name: string;
  receivedAt: string;
  /** The HTTP v1 message as it was sent. */
  message: Record<string, unknown>;
}

export interface Phones {
  receive(token: string, message: ReceivedMessage): void;
  /** Tokens and how many messages each holds, the latest used last. */
  list(): { token: string; messages: number }[];
  messages(token: string): ReceivedMessage[];
  /** The next message of this token that nobody has waited for yet. Rejects after the time, ms. */
  nextMessage(token: string, timeout: number): Promise<ReceivedMessage>;
  clear(): void;
}

/** Memory is bounded: the oldest message of a phone and the phone used longest ago give way. */
const MAX_PHONES = 200_000;
const MAX_MESSAGES = 100;

/** The phones of the emulator: a token that gets a message is one. */
export function createPhones(): Phones {
  const phones = new Map<string, ReceivedMessage[]>();
  const waiting = new Map<string, ((message: ReceivedMessage) => void)[]>();
  const awaited = new Map<string, number>();

  return {
    receive(token, message) {
      const messages = phones.get(token) ?? [];
      phones.delete(token);
      phones.set(token, messages);
      messages.push(message);
      if (messages.length > MAX_MESSAGES) messages.shift();
      if (phones.size > MAX_PHONES) phones.delete(phones.keys().next().value as string);
      const waiter = waiting.get(token)?.shift();
      if (waiter) {
        awaited.set(token, (awaited.get(token) ?? 0) + 1);
        waiter(message);
      }
    },
    list: () => [...phones].map(([token, messages]) => ({ token, messages: messages.length })),
    messages: (token) => phones.get(token) ?? [],
    nextMessage(token, timeout) {
      const seen = awaited.get(token) ?? 0;
      const message = phones.get(token)?.[seen];
      if (message) {
        awaited.set(token, seen + 1);
        return Promise.resolve(message);
      }
      return new Promise((resolve, reject) => {
        const queue = waiting.get(token) ?? [];
        waiting.set(token, queue);
        const waiter = (received: ReceivedMessage) => {
          clearTimeout(timer);
          resolve(received);
        };
        queue.push(waiter);
        const timer = setTimeout(() => {
          queue.splice(queue.indexOf(waiter), 1);
          reject(new Error(`Phone ${token} got no message within ${timeout} ms.`));
        }, timeout);
      });
    },
    clear() {
      phones.clear();
      awaited.clear();
    },
  };
}
