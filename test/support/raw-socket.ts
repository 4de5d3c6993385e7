import { connect, type Socket } from "node:net";

/** A client of graphql-transport-ws that answers nothing: no ping, and no close. */
export interface RawSocket {
  socket: Socket;
  send(message: object): void;
  /** All that came, as text; frames and all. */
  received(): string;
  /** Resolves once the connection is gone. */
  closed: Promise<void>;
}

export async function openRawSocket(url: string): Promise<RawSocket> {
  const { hostname, port } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port) });
  socket.on("error", () => {
    // A reset is an end, too.
  });
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  let received = "";
  socket.on("data", (data) => {
    received += data.toString("latin1");
  });
  socket.write(
    `GET /graphql HTTP/1.1\r\nHost: ${hostname}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
      "Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n",
  );
  await new Promise((resolve) => socket.once("data", resolve));
  return {
    socket,
    closed,
    received: () => received,
    send: (message) => void socket.write(frame(JSON.stringify(message))),
  };
}

/** A text in one frame, masked with nothing (RFC 6455, 5.2). */
function frame(text: string): Buffer {
  const payload = Buffer.from(text);
  const head = Buffer.from([0x81, 0xfe, payload.length >> 8, payload.length & 255]);
  return Buffer.concat([head, Buffer.alloc(4), payload]);
}
