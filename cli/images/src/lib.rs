//! Container images, made in this process: no daemon, no base image.
