FROM alpine
COPY --exclude=*.md --exclude=sub dir /d
