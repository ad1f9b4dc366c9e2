FROM alpine
MAINTAINER Some One <some@one.example>
