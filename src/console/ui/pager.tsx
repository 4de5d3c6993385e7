import { Button } from "react-aria-components";

export function Pager(props: { page: number; hasNext: boolean; onGo: (page: number) => void }) {
  const { page, hasNext, onGo } = props;
  if (page === 0 && !hasNext) return null;
  return (
    <nav className="pager" aria-label="Pages of the list">
      <Button className="button" isDisabled={page === 0} onPress={() => onGo(page - 1)}>
        Newer
      </Button>
      <span className="muted">Page {page + 1}</span>
      <Button className="button" isDisabled={!hasNext} onPress={() => onGo(page + 1)}>
        Older
      </Button>
    </nav>
  );
}
