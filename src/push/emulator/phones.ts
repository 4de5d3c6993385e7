import type { Platform } from "./platforms.ts";
import { type KeptMessage, type ReceivedMessage, readMessage } from "./received.ts";
import { type Stored, storedText, storeMessage } from "./storage.ts";

export interface Phone {
  token: string;
  /** Decides which of its three forms a message takes here; Android unless one says otherwise. */
  platform: Platform;
  online: boolean;
  messages: KeptMessage[];
  /** What waits until it is online. */
  stored: Stored[];
  /** FCM gave up what was stored, and the app is told to fetch all (`onDeletedMessages`). */
  discarded: boolean;
}

export interface Phones {
  /** A phone takes a message, or FCM stores it, or nobody ever gets it. */
  receive(token: string, message: KeptMessage): "DELIVERED" | "STORED" | "DROPPED";
  /** How a phone stands; one that nobody has heard of has nothing. */
  peek(token: string): Phone;
  size(): number;
  /** Tokens and how many messages each holds, the latest used last. */
  list(): { token: string; messages: number }[];
  messages(token: string): ReceivedMessage[];
  /** The next message of this token that nobody has waited for yet. Rejects after the time, ms. */
  nextMessage(token: string, timeout: number): Promise<ReceivedMessage>;
  /** Makes the phone if it is new. One that comes online gets what was stored. */
  set(
    token: string,
    change: { online?: boolean | undefined; platform?: Platform | undefined },
  ): Phone;
  /** The app is removed: from now on the token is UNREGISTERED. */
  uninstall(token: string): void;
  isUninstalled(token: string): boolean;
  clear(): void;
}

/** Memory is bounded: the phone used longest ago and the oldest message of a phone give way. */
const MAX_PHONES = 200_000;
const MAX_MESSAGES = 100;
/** Of all phones together, characters. */
const MAX_TEXT = 256 * 1024 * 1024;

/** The phones of the emulator: a token that gets a message is one. */
export function createPhones(options: {
  now: () => number;
  onMessage: (token: string, message: KeptMessage) => void;
}): Phones {
  const phones = new Map<string, Phone>();
  const uninstalled = new Set<string>();
  const waiting = new Map<string, ((message: ReceivedMessage) => void)[]>();
  const awaited = new Map<string, number>();
  let text = 0;

  /** The phone, now the latest used. */
  function use(token: string): Phone {
    const phone = phones.get(token) ?? newPhone(token);
    phones.delete(token);
    phones.set(token, phone);
    return phone;
  }

  function forget(token: string): void {
    for (const { body } of phones.get(token)?.messages ?? []) text -= body.length;
    text -= storedText(phones.get(token));
    phones.delete(token);
    awaited.delete(token);
  }

  function makeRoom(): void {
    while (phones.size > MAX_PHONES || (text > MAX_TEXT && phones.size > 1)) {
      forget(phones.keys().next().value as string);
    }
  }

  function deliver(phone: Phone, message: KeptMessage): void {
    phone.messages.push(message);
    if (phone.messages.length > MAX_MESSAGES) {
      text -= phone.messages.shift()?.body.length ?? 0;
      const seen = awaited.get(phone.token);
      if (seen) awaited.set(phone.token, seen - 1);
    }
    const waiter = waiting.get(phone.token)?.shift();
    if (waiter) {
      awaited.set(phone.token, (awaited.get(phone.token) ?? 0) + 1);
      waiter(readMessage(message));
    }
    options.onMessage(phone.token, message);
  }

  return {
    receive(token, message) {
      const phone = use(token);
      let outcome: "DELIVERED" | "STORED" | "DROPPED" = "DELIVERED";
      if (phone.online) {
        text += message.body.length;
        deliver(phone, message);
      } else {
        const before = storedText(phone);
        outcome = storeMessage(phone, message);
        text += storedText(phone) - before;
      }
      makeRoom();
      return outcome;
    },
    peek: (token) => phones.get(token) ?? newPhone(token),
    size: () => phones.size,
    list: () =>
      [...phones.values()].map(({ token, messages }) => ({ token, messages: messages.length })),
    messages: (token) => (phones.get(token)?.messages ?? []).map(readMessage),
    nextMessage(token, timeout) {
      const seen = awaited.get(token) ?? 0;
      const message = phones.get(token)?.messages[seen];
      if (message) {
        awaited.set(token, seen + 1);
        return Promise.resolve(readMessage(message));
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
    set(token, { online, platform }) {
      const phone = use(token);
      phone.platform = platform ?? phone.platform;
      if (phone.online && online === false) phone.discarded = false;
      phone.online = online ?? phone.online;
      if (online) {
        const now = options.now();
        for (const { kept, expiresAt } of phone.stored.splice(0)) {
          if (expiresAt > now) deliver(phone, kept);
          else text -= kept.body.length;
        }
      }
      makeRoom();
      return phone;
    },
    uninstall(token) {
      forget(token);
      uninstalled.add(token);
      if (uninstalled.size > MAX_PHONES)
        uninstalled.delete(uninstalled.values().next().value as string);
    },
    isUninstalled: (token) => uninstalled.has(token),
    clear() {
      phones.clear();
      uninstalled.clear();
      awaited.clear();
      text = 0;
    },
  };
}

function newPhone(token: string): Phone {
  return { token, platform: "android", online: true, messages: [], stored: [], discarded: false };
}
