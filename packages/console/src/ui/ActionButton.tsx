import { Button, type ButtonProps } from "antd";
import { type OperationName, useRefusal } from "../lib/allowed.ts";

interface Props extends ButtonProps {
  /** What it does. Who may not sees why. */
  readonly operation: OperationName;
}

/** A button that is disabled, with the reason, where the server would refuse. */
export function ActionButton({ operation, disabled, title, ...button }: Props) {
  const refusal = useRefusal(operation);
  const reason = refusal ?? title;
  return (
    <Button
      {...button}
      disabled={disabled === true || refusal !== undefined}
      {...(reason !== undefined && { title: reason })}
    />
  );
}
