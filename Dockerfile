# JWT History in one image: built with the compiler, shipped without it.
# Without MONGODB_URI it runs the embedded engine on the volume /data:
#   docker build -t jwt-history . && docker run --init -p 3000:3000 -v jwt-history-data:/data jwt-history
# Commands: docker exec, or docker run --rm … jwt-history, followed by: jwt-history --help

FROM node:24-trixie-slim AS manifests
WORKDIR /app
COPY package.json package-lock.json .npmrc ./

# No package's scripts are needed, and our own wants the sources.
FROM manifests AS build
RUN --mount=type=cache,target=/root/.npm npm ci --ignore-scripts
COPY tsconfig.json ./
COPY src src
RUN npm run build && rm -f dist/.tsbuildinfo dist/.built-from && chmod 755 dist/cli/jwt-history.js

# Optional packages stay, since argon2's native part is one. --build-arg EMBEDDED_ENGINE=false
# leaves out the embedded engine (SSPL 1.0): MONGODB_URI has to be set then.
FROM manifests AS dependencies
ARG EMBEDDED_ENGINE=true
RUN --mount=type=cache,target=/root/.npm npm ci --omit=dev --ignore-scripts \
  && if [ "$EMBEDDED_ENGINE" != true ]; then rm -rf node_modules/@0q; fi

FROM node:24-trixie-slim AS production
LABEL org.opencontainers.image.title="JWT History" \
      org.opencontainers.image.description="Knows every token it has seen and can take any of them back, at once, everywhere." \
      org.opencontainers.image.licenses="MIT"
ENV NODE_ENV=production \
    DATA_DIR=/data
# The folder before VOLUME, so that a new volume takes over owner and mode.
RUN install -d -o node -g node -m 0700 /data \
  && ln -s /app/dist/cli/jwt-history.js /usr/local/bin/jwt-history
WORKDIR /app
COPY package.json LICENSE ./
COPY --from=dependencies /app/node_modules node_modules
COPY --from=build /app/src/build.mjs src/
COPY --from=build /app/dist dist
USER node
VOLUME ["/data"]
EXPOSE 3000
STOPSIGNAL SIGTERM
# Images in the OCI format have none (podman and buildah build that unless told --format docker), so
# docker-compose.yml says it again.
HEALTHCHECK --interval=10s --timeout=5s --start-period=45s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:'+(process.env.PORT||3000)+'/readyz',{signal:AbortSignal.timeout(4000)}).then(r=>process.exit(r.ok?0:1),()=>process.exit(1))"]
CMD ["node", "--enable-source-maps", "dist/main.js"]
