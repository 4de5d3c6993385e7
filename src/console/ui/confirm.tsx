import type { ReactNode } from "react";
import { Button, Dialog, DialogTrigger, Heading, Modal, ModalOverlay } from "react-aria-components";

/** A button that asks before it does what cannot be undone. */
export function Confirm(props: {
  action: string;
  title: string;
  children: ReactNode;
  isBusy?: boolean;
  isPrimary?: boolean;
  isDisabled?: boolean;
  onConfirm: () => void;
}) {
  const {
    action,
    title,
    children,
    isBusy = false,
    isPrimary,
    isDisabled = false,
    onConfirm,
  } = props;
  return (
    <DialogTrigger>
      <Button
        className={`button ${isPrimary ? "primary" : ""}`}
        isPending={isBusy}
        isDisabled={isDisabled}
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
                <div className="actions">
                  <Button className="button" onPress={close}>
                    Back
                  </Button>
                  <Button
                    className="button primary"
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
