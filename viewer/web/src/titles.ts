import type { Layer } from "./api";
import { named, t } from "./i18n";
import { told } from "./messages";

/** What a layer is called: its kind, or the name of its product. */
export function layerTitle(layer: Layer): string {
  return layer.product === null ? t(`kind_${layer.kind}`) : named(`product_${layer.product}`, layer.product);
}

/** What a band is called; those of sensors keep their names. */
export const bandTitle = told;
