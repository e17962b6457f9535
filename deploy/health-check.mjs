// Whether the server in this container lives; the image has no curl.
const { PORT, API_PORT, APP_PORT } = process.env;
const port = PORT || API_PORT || APP_PORT || "8000";
const { ok } = await fetch(`http://127.0.0.1:${port}/health/live`);
process.exitCode = ok ? 0 : 1;
