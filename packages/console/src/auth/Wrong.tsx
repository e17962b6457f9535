export function Wrong({ text }: { readonly text: string | undefined }) {
  return (
    <p role="alert" className={text ? "wrong" : "sr-only"}>
      {text}
    </p>
  );
}
