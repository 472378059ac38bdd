import { readTide } from "@/lib/tide";

export const dynamic = "force-dynamic";

/** The water now, for those who ask again without loading the page. */
export function GET() {
  return Response.json(readTide(Date.now()), { headers: { "cache-control": "no-store" } });
}
