// The exit status of a build for which the packages can't be had: what uses the lab may be skipped, anywhere but in CI.
export const noPackages = 3;
