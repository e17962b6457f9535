export interface Item {
  readonly id: string;
  readonly [name: string]: unknown;
}
