# flags: --label given=1 --label a=over
FROM alpine
LABEL a=own
