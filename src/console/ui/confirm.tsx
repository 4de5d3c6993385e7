import { type ReactNode, useEffect, useRef } from "react";
import { Button, Dialog, DialogTrigger, Heading, Modal, ModalOverlay } from "react-aria-components";

function focusThePage(): void {
  if (document.activeElement === document.body) document.querySelector("h1")?.focus();
}

/** A button that asks before it does what cannot be undone. */
export function Confirm(props: {
  action: string;
  /** Where `action` alone does not say on what, among many. */
  label?: string;
  title: string;
  children: ReactNode;
  isBusy?: boolean;
  isPrimary?: boolean;
  /** It takes something away from somebody. */
  isDanger?: boolean;
  isDisabled?: boolean;
  onConfirm: () => void;
}) {
  const { action, label, title, children, onConfirm } = props;
  const { isBusy = false, isPrimary = false, isDanger = false, isDisabled = false } = props;
  const wasConfirmed = useRef(false);
  useEffect(
    () => () => {
      // What it did may have taken the button away, and the focus with it.
      if (wasConfirmed.current) setTimeout(focusThePage);
    },
    [],
  );
  return (
    <DialogTrigger>
      <Button
        className={`button ${isPrimary ? "primary" : ""}`}
        isPending={isBusy}
        isDisabled={isDisabled}
        {...(label === undefined ? {} : { "aria-label": label })}
      >
        {action}
      </Button>
      <ModalOverlay className="overlay" isDismissable>
        <Modal className="modal">
          <Dialog role="alertdialog" className="dialog">
            {({ close }) => (
              <>
                <Heading slot="title">{title}</Heading>
                <div>{children}</div>
                <div className="actions dialog-actions">
                  <Button className="button" onPress={close}>
                    Back
                  </Button>
                  <Button
                    className={`button ${isDanger ? "danger" : "primary"}`}
                    onPress={() => {
                      wasConfirmed.current = true;
                      close();
                      onConfirm();
                    }}
                  >
                    {action}
                  </Button>
                </div>
              </>
            )}
          </Dialog>
        </Modal>
      </ModalOverlay>
    </DialogTrigger>
  );
}
