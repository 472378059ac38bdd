export const dynamic = "force-dynamic";

const BODY_MAX = 2_048;

const counts = new Map(["CLS", "FCP", "FID", "INP", "LCP", "TTFB"].map((name) => [name, 0]));

/** How often `useReportWebVitals` told of each vital. */
export function GET() {
  return Response.json(Object.fromEntries(counts), { headers: { "cache-control": "no-store" } });
}

export async function POST(request: Request) {
  const body = await request.text();
  if (body.length > BODY_MAX) return new Response(null, { status: 413 });
  const name = readName(body);
  const count = name === undefined ? undefined : counts.get(name);
  if (name === undefined || count === undefined) return new Response(null, { status: 400 });
  counts.set(name, count + 1);
  return new Response(null, { status: 204 });
}

function readName(body: string): string | undefined {
  try {
    const { name } = JSON.parse(body) as { name?: unknown };
    return typeof name === "string" ? name : undefined;
  } catch {
    return undefined;
  }
}
