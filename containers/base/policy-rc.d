#!/bin/sh
# Packages start no services in images.
exit 101
