import { useAddress } from "./use-address.ts";

/** The page of a list that the address asks for, from 0; a damaged link shows the first one. */
export function usePage(): [number, (page: number) => void] {
  const [text, setText] = useAddress("page");
  const page = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  return [page, (next) => setText(next === 0 ? "" : String(next))];
}
