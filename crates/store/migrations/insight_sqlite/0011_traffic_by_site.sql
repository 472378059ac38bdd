-- Traffic is kept per site, and as a whole under the empty name, which no site has. Samples of before were of all sites
-- together. The two new sketches split the time to an app's answer; they are absent where no app answered.

ALTER TABLE traffic_samples ADD COLUMN upstream_sketch BLOB;
ALTER TABLE traffic_samples ADD COLUMN ours_sketch BLOB;
INSERT OR IGNORE INTO traffic_samples (site, step_s, t, requests, errors, refused, bytes, latency_sketch)
SELECT '', step_s, t, requests, errors, refused, bytes, latency_sketch FROM traffic_samples;
