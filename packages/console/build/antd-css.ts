import { extractStyle } from "@ant-design/static-style-extract";
import { ConfigProvider } from "antd";
import { createElement } from "react";

/** The components whose CSS the console takes. A component that is used and not named has none. */
export const antdComponents = [
  "Alert",
  "App",
  "Badge",
  "Button",
  "Card",
  "Checkbox",
  "Collapse",
  "Descriptions",
  "Divider",
  "Drawer",
  "Dropdown",
  "Empty",
  "Flex",
  "Form",
  "Input",
  "InputNumber",
  "message",
  "Modal",
  "notification",
  "Popconfirm",
  "Popover",
  "Progress",
  "Radio",
  "Result",
  "Segmented",
  "Select",
  "Skeleton",
  "Space",
  "Spin",
  "Statistic",
  "Steps",
  "Switch",
  "Table",
  "Tabs",
  "Tag",
  "Timeline",
  "Tooltip",
  "Typography",
  "Upload",
] as const;

export const antdCss = (): string =>
  extractStyle({
    includes: [...antdComponents] as never,
    customTheme: (node) => createElement(ConfigProvider, { theme: { hashed: false } }, node),
  });
