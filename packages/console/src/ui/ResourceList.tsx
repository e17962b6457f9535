/** A list of the API: filters in the address, page by page, a table or cards. */
import type { Client } from "@insulae/client";
import { Button, Input, Select, Table } from "antd";
import { type ReactNode, useEffect, useState } from "react";
import { type Page, useList } from "../lib/api.ts";
import { useText } from "../lib/i18n.ts";
import { type Search, useFilters } from "../lib/search.ts";
import { useDebounced } from "../lib/use-debounced.ts";
import { useIsNarrow } from "../lib/use-media.ts";
import { Icon } from "./Icon.tsx";
import { Skeleton } from "./Skeleton.tsx";
import { Empty, Problem } from "./states.tsx";
import { texts } from "./texts.ts";

export interface Column<Item> {
  readonly title: string;
  readonly render: (item: Item) => ReactNode;
  readonly align?: "right";
  readonly width?: number;
}

export interface Filter {
  /** The parameter of the request, and of the address. */
  readonly name: string;
  readonly label: string;
  /** None: a text that is searched for. */
  readonly options?: readonly { readonly value: string; readonly label: string }[];
}

export interface ResourceListProps<Item> {
  /** The path that is read: the first part of its key in the cache. */
  readonly of: string;
  readonly label: string;
  readonly read: (api: Client, query: Search, signal: AbortSignal) => Promise<Page<Item>>;
  readonly columns: readonly Column<Item>[];
  readonly rowKey: (item: Item) => string;
  readonly filters?: readonly Filter[];
  /** What stands there while there is nothing, and nothing is filtered. */
  readonly empty: ReactNode;
  readonly onOpen?: (item: Item) => void;
  readonly everyMs?: number;
  readonly extra?: ReactNode;
  /** What stands above the rows, made of those that are shown. */
  readonly summary?: (items: readonly Item[]) => ReactNode;
}

export function ResourceList<Item>(props: ResourceListProps<Item>) {
  const { of, read, columns, filters = [], rowKey, label, empty, everyMs, extra, onOpen } = props;
  const { summary } = props;
  const t = useText(texts);
  const narrow = useIsNarrow();
  const [search] = useFilters();
  const wanted: Search = Object.fromEntries(
    filters.map(({ name }) => [name, search[name] || undefined]),
  );
  const list = useList<Item>(
    [of, wanted],
    (api, cursor, signal) => read(api, { ...wanted, cursor }, signal),
    { everyMs: everyMs ?? false },
  );
  const { items, error, isPending, hasNextPage, fetchNextPage, isFetchingNextPage } = list;
  const isFiltered = Object.values(wanted).some((value) => value !== undefined);

  return (
    <>
      {(filters.length > 0 || extra) && (
        <div className="filters">
          {filters.map((filter) => (
            <FilterField key={filter.name} filter={filter} />
          ))}
          {extra}
          {items.length > 0 && <span className="count">{t.shown(items.length)}</span>}
        </div>
      )}
      {items.length > 0 && summary?.(items)}
      {error && items.length === 0 ? (
        <Problem error={error} onRetry={() => void list.refetch()} />
      ) : isPending ? (
        <Skeleton />
      ) : items.length === 0 ? (
        isFiltered ? (
          <Empty title={t.noMatch} about={t.noMatchAbout} />
        ) : (
          empty
        )
      ) : narrow ? (
        <ul className="cards" aria-label={label}>
          {items.map((item) => (
            <li key={rowKey(item)}>
              <dl className="row">
                {columns.map((column) => (
                  <Row key={column.title} name={column.title} value={column.render(item)} />
                ))}
              </dl>
              {onOpen && (
                <Button size="small" onClick={() => onOpen(item)}>
                  {t.more}
                </Button>
              )}
            </li>
          ))}
        </ul>
      ) : (
        <Table<Item>
          aria-label={label}
          rowKey={rowKey}
          size="middle"
          pagination={false}
          scroll={{ x: "max-content" }}
          dataSource={[...items]}
          columns={columns.map(({ title, render, align, width }) => ({
            title,
            key: title,
            ...(align && { align }),
            ...(width && { width }),
            render: (_: unknown, item: Item) => render(item),
          }))}
        />
      )}
      {hasNextPage && (
        <div className="load-more">
          <Button loading={isFetchingNextPage} onClick={() => void fetchNextPage()}>
            {t.loadMore}
          </Button>
        </div>
      )}
    </>
  );
}

function Row({ name, value }: { readonly name: string; readonly value: ReactNode }) {
  return (
    <div className="pair">
      <dt>{name}</dt>
      <dd>{value === "–" ? null : value}</dd>
    </div>
  );
}

function FilterField({ filter }: { readonly filter: Filter }) {
  const { name, label, options } = filter;
  const [search, change] = useFilters();
  if (options) {
    return (
      <Select
        aria-label={label}
        allowClear
        placeholder={label}
        style={{ minWidth: 140 }}
        value={search[name] ?? null}
        options={options.map((each) => ({ ...each }))}
        onChange={(value: string | null) => change({ [name]: value ?? undefined })}
      />
    );
  }
  return (
    <SearchField label={label} value={search[name] ?? ""} onChange={(q) => change({ [name]: q })} />
  );
}

interface SearchFieldProps {
  readonly label: string;
  readonly value: string;
  readonly onChange: (value: string) => void;
}

function SearchField({ label, value, onChange }: SearchFieldProps) {
  const [typed, setTyped] = useState(value);
  const settled = useDebounced(typed);
  // biome-ignore lint/correctness/useExhaustiveDependencies: when what was typed has settled
  useEffect(() => {
    if (settled !== value) onChange(settled);
  }, [settled]);
  return (
    <Input
      type="search"
      allowClear
      aria-label={label}
      placeholder={label}
      prefix={<Icon name="search" size={15} />}
      style={{ width: 260 }}
      value={typed}
      onChange={(event) => setTyped(event.target.value)}
    />
  );
}
