import { chalk } from "zx";

/** Nobody is told of what is quicker than this, milliseconds. */
const PATIENCE = 1000;

export interface Progress {
  say(text: string): void;
  end(): void;
}

/** How far it is, on stderr: a line that changes on a terminal, and nothing where nobody watches. */
export function createProgress(stream: NodeJS.WriteStream = process.stderr): Progress {
  if (!stream.isTTY) return { say() {}, end() {} };
  const began = Date.now();
  let text = "";
  let isShown = false;
  const show = () => {
    const seconds = Math.round((Date.now() - began) / 1000);
    stream.write(`\r\x1b[K${chalk.dim(`${text} … ${seconds} s`)}`);
    isShown = true;
  };
  const timer = setInterval(show, PATIENCE);
  timer.unref();
  return {
    say(now) {
      text = now;
      if (isShown) show();
    },
    end() {
      clearInterval(timer);
      if (isShown) stream.write("\r\x1b[K");
    },
  };
}
