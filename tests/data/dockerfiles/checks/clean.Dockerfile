ARG V=1
FROM scratch AS build
ARG V
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/cache make V=$V
FROM scratch
COPY --from=build /src/out /
ENV MODE=prod
EXPOSE 80
ENTRYPOINT ["/out"]
