import type { ReactNode } from "react";
import { Button, Dialog, DialogTrigger, Heading, Modal, ModalOverlay } from "react-aria-components";

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
